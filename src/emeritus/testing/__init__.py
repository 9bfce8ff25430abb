"""What tests and the demonstration share: contract suites, small real models, and the resident of the demonstration."""
