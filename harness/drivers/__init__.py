"""Starting, watching and stopping a target."""
