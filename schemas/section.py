"""What every section of the settings shares: refusal of unknown keys, old names, and bounds at two levels."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def _shape_form(schema: dict[str, Any]) -> None:
    # A form, a deployment or an API call hands over a whole settings object. Were fields optional
    # there, one that sends only `{"model": {"hidden_dims": [64]}}` would silently run on our defaults.
    schema["required"] = list(schema.get("properties", {}))
    for field in schema.get("properties", {}).values():  # the UI shows descriptions, and bounds only once broken
        bounds = ", ".join(f"{word} {field[key]:g}" for key, word in _BOUNDS.items() if key in field)
        if bounds:
            field["description"] = f"{field['description']} {bounds.capitalize()}."


class Section(BaseModel):
    """A frozen group of settings; unknown keys are refused, so that a typo is not a default."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # Prefect shows them, and an address may hold a secret
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        json_schema_extra=_shape_form,
    )
    RENAMED: ClassVar[Mapping[str, str]] = {}  # names of earlier versions, by which published models still speak
    REMOVED: ClassVar[Mapping[str, str]] = {}  # settings of earlier versions, with why each has gone

    @model_validator(mode="before")
    @classmethod
    def _complete_bounds(cls, data: Any) -> Any:  # noqa: ANN401 - raw input of any shape
        """A level that is not given is that of the default; a warning of the default never lies beyond a given stop."""
        completed = dict(data) if isinstance(data, dict) else {}
        for name, given in completed.items():
            field = cls.model_fields.get(name)
            default = field.get_default(call_default_factory=True, validated_data={}) if field else None
            if isinstance(default, Bound) and isinstance(given, dict):
                levels = default.model_dump() | given
                if "warn" not in given and levels["warn"] is not None and isinstance(levels["stop"], int | float):
                    levels["warn"] = (max if name.startswith("min_") else min)(levels["warn"], levels["stop"])
                completed[name] = levels
        return completed or data

    @model_validator(mode="before")
    @classmethod
    def _refuse_bools(cls, data: Any) -> Any:  # noqa: ANN401 - raw input of any shape
        """`true` would count as 1."""
        fields = {field.alias or name: field for name, field in cls.model_fields.items()}
        for key, value in data.items() if isinstance(data, dict) else ():
            given = value if isinstance(value, list | tuple) else [value]
            if (
                key in fields
                and any(isinstance(one, bool) for one in given)
                and not _takes_bool(fields[key].annotation)
            ):
                raise ValueError(f"{key} is not true or false; give a value of its kind")
        return data

    @model_validator(mode="after")
    def _order_levels(self) -> Self:
        for name in type(self).model_fields:
            bound = getattr(self, name)
            if isinstance(bound, Bound) and bound.warn is not None and bound.stop is not None:
                sign = -1 if name.startswith("min_") else 1
                if sign * bound.warn > sign * bound.stop:
                    raise ValueError(
                        f"{name}.warn = {bound.warn:g} lies beyond {name}.stop = {bound.stop:g}: it could never warn; "
                        'give both, the milder as warn, or "" for the one that is not wanted'
                    )
        return self

    @model_validator(mode="before")
    @classmethod
    def _take_old_names(cls, data: Any) -> Any:  # noqa: ANN401 - raw input of any shape
        return cls.modernise(data)[0] if isinstance(data, dict) else data

    @classmethod
    def modernise(cls, data: Mapping[str, Any], prefix: str = "") -> tuple[dict[str, Any], list[str]]:
        """Return raw values under the names of today, and a sentence for each of an earlier version.

        Args:
            data: values of this section, by name.
            prefix: of the names in the sentences, such as "loss.".

        Raises:
            ValueError: a setting is given by both of its names.
        """
        values, notes = dict[str, Any](), list[str]()
        for key, value in data.items():
            name = cls.RENAMED.get(key, key)
            if key in cls.REMOVED:
                notes.append(f"{prefix}{key} is no setting any more, and is ignored: {cls.REMOVED[key]}; remove it")
                continue
            if name != key:
                if name in data:
                    raise ValueError(
                        f"{prefix}{key} is the old name of {prefix}{name}, and both are given: remove the old"
                    )
                notes.append(f"{prefix}{key} is now called {prefix}{name}; the old name works for this version only")
            field = cls.model_fields.get(name)
            if field and field.annotation is Share and isinstance(value, int | float) and not isinstance(value, bool):
                value = {"stop": value}  # max_drop_vs_live = 0.05 is short for {stop = 0.05}
            values[name] = value
        return values, notes


class Bound(Section):
    """A limit on one statistic at two levels; an empty level never fires, one that is not given is the default's."""

    warn: float | None = Field(default=None, ge=0, description="Beyond this the run goes on with a warning.")
    stop: float | None = Field(default=None, ge=0, description="Beyond this the run ends and nothing is published.")

    @field_validator("warn", "stop", mode="before")
    @classmethod
    def _empty_is_off(cls, level: Any) -> Any:  # noqa: ANN401 - raw input of any shape
        return None if level == "" else level  # a TOML has no null


def _check_share(bound: Bound) -> Bound:
    for level, limit in (("warn", bound.warn), ("stop", bound.stop)):
        if limit is not None and limit > 1:
            raise ValueError(f"{level} = {limit:g} is no share: it lies between 0 and 1 (5 % is 0.05)")
    return bound


ShareBound = Annotated[Bound, AfterValidator(_check_share)]


class Share(Bound):
    """A bound on a share of rows; a number is short for its stop."""

    warn: float | None = Field(default=None, ge=0, le=1, description="Beyond this the run goes on with a warning.")
    stop: float | None = Field(default=None, ge=0, le=1, description="Beyond this the candidate is held back.")


def tolerance(name: str, **levels: float) -> Any:  # noqa: ANN401 - pydantic's Field is typed Any
    """Return a field that bounds a share of rows from above."""
    return Field(default_factory=lambda: Share(**levels), description=f"Upper bound: {name}, as a share of rows.")


def at_most(name: str, **levels: float) -> Any:  # noqa: ANN401 - pydantic's Field is typed Any
    """Return a field that bounds a statistic from above."""
    return Field(default_factory=lambda: Bound(**levels), description=f"Upper bound: {name}.")


def at_least(name: str, **levels: float) -> Any:  # noqa: ANN401 - pydantic's Field is typed Any
    """Return a field that bounds a statistic from below."""
    return Field(default_factory=lambda: Bound(**levels), description=f"Lower bound: {name}.")


def _takes_bool(kind: Any) -> bool:  # noqa: ANN401 - any annotation
    return kind is bool or kind is Any or any(_takes_bool(one) for one in get_args(kind))


def find_missing(section: type[BaseModel], data: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted names of the settings that raw values leave out."""
    missing = []
    for name, field in section.model_fields.items():
        key = field.alias or name
        value = data.get(key, data.get(name, ...))
        if value is ...:
            missing.append(prefix + key)
        elif isinstance(value, dict) and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            missing += find_missing(field.annotation, value, f"{prefix}{key}.")
    return missing


def rename_settings(
    section: type[Section], raw: Mapping[str, Any], prefix: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """Return the raw values of a section as this version has them, and a sentence for each renamed or removed since.

    Args:
        section: what the values are of.
        raw: values by name, those of its own sections included.
        prefix: of the names in the sentences, such as "loss.".

    Raises:
        ValueError: a setting is given by both of its names.
    """
    fields = {field.alias or name: field for name, field in section.model_fields.items()}
    values, notes = section.modernise(raw, prefix)
    for name, value in values.items():
        kind = fields[name].annotation if name in fields else None
        if isinstance(value, Mapping) and isinstance(kind, type) and issubclass(kind, Section):
            values[name], more = rename_settings(kind, value, f"{prefix}{name}.")
            notes += more
    return values, notes
