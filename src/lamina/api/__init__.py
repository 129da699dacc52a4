"""The ECS RPC API: request pipeline, signatures, wire shapes, one file per action."""
