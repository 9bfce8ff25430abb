"""Alembic's entry: migrates over the connection `Database.migrate` hands in, inside its transaction."""

from alembic import context

from emeritus.records.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,  # SQLite's too, since `Database` begins transactions itself
)
with context.begin_transaction():
    context.run_migrations()
