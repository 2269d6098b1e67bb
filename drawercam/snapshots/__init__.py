"""A camera's pictures one by one, as JPEG: decoded while somebody asks, in processes of their
own.
"""
