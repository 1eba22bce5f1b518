"""nbval waits five seconds for each output of a cell and has no option for it: too few on a machine that is busy."""


def pytest_collection_modifyitems(items):
    for cell in items:
        cell.output_timeout = 60
