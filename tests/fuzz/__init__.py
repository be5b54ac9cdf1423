"""What tests run in processes of their own under a coverage-guided fuzzer."""
