"""Messages to people, by Apprise."""

import logging
import os

_LOGGER = logging.getLogger("dssm.messages")


def send_message(title: str, body: str) -> None:
    """Send a message to the Apprise addresses of DSSM_NOTIFY, separated by white space; none: no message.

    They stand in the environment, not in the settings: they hold passwords, and every run records its settings.
    """
    addresses = os.environ.get("DSSM_NOTIFY", "").split()
    if not addresses:
        return
    from apprise import Apprise  # half a second that only those pay who use it

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it logs addresses, which are secrets
    sender = Apprise()
    known = [sender.add(address) for address in addresses]
    if not all(known) or not sender.notify(title=title, body=body):
        wrong = [number for number, good in enumerate(known, 1) if not good]
        what = f"address {wrong[0]} is none that Apprise knows" if wrong else "an address did not take the message"
        _LOGGER.error("message %r was not sent to all of the %d addresses in DSSM_NOTIFY: %s", title, len(known), what)
