"""What all programs of the house stand on: names, addresses, the state folder, tasks, the command
line. It knows no other room.
"""
