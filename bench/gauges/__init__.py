"""What is read off: processor, memory of the machine, samples, waits."""
