"""Everything that is asked by HTTP: pages, the API, live files, snapshots, streams that programs
send.
"""
