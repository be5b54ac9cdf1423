"""What the centre has of each site: how fresh it is (Pub), and whether it is all of it (Sync)."""
