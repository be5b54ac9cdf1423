"""Real servers, private to one test run: own folder, own port, no service, gone with the run."""
