"""Cameras that are programs: they film with what this computer has, and speak the protocol of a
phone.
"""
