"""Prefect and its server, for the commands that need them."""


def use_prefect() -> None:
    """Import Prefect, and let it say no more on the terminal than it is asked to."""
    from flows.environment import start_prefect
    from flows.terminal import take_over

    start_prefect()
    take_over()


def find_server() -> None:
    """Give the runs of this command a Prefect server, the first time it is asked for."""
    use_prefect()
    from flows.endings import tell_once
    from flows.server import use_server_for_runs

    tell_once()
    use_server_for_runs()
