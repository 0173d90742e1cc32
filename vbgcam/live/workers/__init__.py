"""The live chain's threads, one in each module. Only `live.session` starts them."""
