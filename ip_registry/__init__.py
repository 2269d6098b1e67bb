"""The registry: one steady address in the network that knows where the relays are today.

It runs by itself (`python3 -m ip_registry`), or inside a relay, whose application starts and stops
it:

    registry = Registry(state, secret, own=lambda: Announcement(...))
    add_routes(app, registry)

    registry.py messages.py secret.py store.py   who may say what, what is remembered; no sockets
    routes.py page.py                            its addresses, and the list for people
    service.py                                   the program
"""
