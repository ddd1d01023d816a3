"""The journal of a study, the only truth about it: records, events, files, who may write."""
