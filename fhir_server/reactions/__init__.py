"""What a client's write sets off, in the transaction that writes: one module per reaction."""
