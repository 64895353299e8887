"""Files of weights: catalogue, downloads, formats. Nothing here knows the networks that they fill."""
