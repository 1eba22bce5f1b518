"""Files in, the roles of a study out."""
