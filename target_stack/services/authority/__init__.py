"""The platform's certificate authority: made at run time, it gives every service a short-lived identity."""
