"""How good the judges are: what people say, what another judge says, and what that does to a rate or a gate."""
