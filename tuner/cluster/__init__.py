"""Ray's machines: a cluster joined or started, what it holds, who is let in."""
