"""FHIRPath N1 (http://hl7.org/fhirpath/N1): expressions over FHIR data."""
