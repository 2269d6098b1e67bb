"""The drawercam relay: one channel per camera, passed on to every viewer."""
