from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A value that moves between stages: frozen, strict (no coercion) and closed (an unknown key is an error)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
