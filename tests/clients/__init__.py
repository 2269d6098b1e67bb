"""Programs of others at a real relay: what is not one of the project's own pages must do as
well.
"""
