"""What goes wrong, tried: bad inputs, kills, races, full disks, machines. `python -m tests.faults` prints one table."""
