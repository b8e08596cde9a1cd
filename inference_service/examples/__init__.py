"""The example facility: made-up people, patients and cases, made by the services that real ones are made by."""
