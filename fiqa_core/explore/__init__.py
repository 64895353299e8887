"""The explorer: one face, and every score, decision and curve that follows from it (notebook explorer).

A `State` says everything that is chosen; pure functions turn it into what is seen; `app` alone knows widgets.
"""
