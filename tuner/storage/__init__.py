"""The storage of studies: local folders, network file systems and object stores."""
