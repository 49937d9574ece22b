"""Every kind of check, one row each beside the parameters that scenarios give it; all else is derived from the rows."""
