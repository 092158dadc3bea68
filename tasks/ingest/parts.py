"""Parts of a data set, known by the names people give them: training, validation, test. Pure."""

import re

_TRAIN = r"train(?:ing)?|训练"
_TEST = r"(?:oos_)?test(?:ing)?|测试|评测"
_OTHER = r"dev(?:elopment)?|val(?:id(?:ation)?)?|验证|开发|unassigned"
_ENDING = r"(?:[ _-]?(?:set|data|split)|集|数据|样本)?"


def is_training(name: str) -> bool:
    """Whether a part is there to be trained on."""
    return re.fullmatch(f"(?:{_TRAIN}){_ENDING}", name.strip(), re.I) is not None


def is_test(name: str) -> bool:
    """Whether a part is there to be measured by, and nothing else."""
    return re.fullmatch(f"(?:{_TEST}){_ENDING}", name.strip(), re.I) is not None


def is_part(name: str) -> bool:
    """Whether a name is that of a part, of any kind."""
    return re.fullmatch(f"(?:{_TRAIN}|{_TEST}|{_OTHER}){_ENDING}", name.strip(), re.I) is not None
