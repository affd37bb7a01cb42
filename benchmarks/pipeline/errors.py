"""How a run of the pipeline says that it cannot go on."""


class PipelineError(Exception):
    """One line for a person: what is wrong with what they gave (data, options, a checkpoint), and what to do."""


class ValidationError(Exception):
    """The run itself went wrong, and its result must not be trusted: accuracy, numerics or an export that disagrees."""
