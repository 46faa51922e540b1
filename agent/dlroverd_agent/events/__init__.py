"""What ranks say of themselves: from a file of each rank into the spool on disk, and from there to the daemon."""
