"""Every kind of fault, one row each: pure data that imports nothing heavy, from which all else is derived."""
