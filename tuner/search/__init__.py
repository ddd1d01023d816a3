"""The search: the driver of a study, with its sampler, ASHA, designs and handling of failures."""
