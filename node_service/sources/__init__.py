"""Files and folders as input: what each file is, in path order."""
