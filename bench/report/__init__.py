"""What is printed of it: tables, targets, results."""
