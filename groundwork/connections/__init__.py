"""Strangers' connections, for every program that listens: how many, in which turns, for how much
work. It knows groundwork alone.
"""
