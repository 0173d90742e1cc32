"""What several test modules share: fakes of the interfaces, files as people have them, programs around ours."""
