"""A study, searched: journal, ASHA, sampler, and the Ray engine that runs them."""
