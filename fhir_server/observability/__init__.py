"""What the server tells about itself: logs, metrics and route names, none of them with patient data."""
