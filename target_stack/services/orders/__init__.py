"""Takes orders: prices them, reserves stock, takes payment, and acknowledges only what is committed."""
