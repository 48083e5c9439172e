"""Saves a document and publishes an event in one transaction; a second transaction is rolled back and sends nothing.

Usage: DATABASE_URL=postgres://… ACCOUNT_ID=acc_… python sqlalchemy_outbox.py
"""

import json
import os
import sys
import uuid

from sqlalchemy import String, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

if not os.environ.get("DATABASE_URL") or not os.environ.get("ACCOUNT_ID"):
    sys.exit("Set DATABASE_URL and ACCOUNT_ID.")
account_id = os.environ["ACCOUNT_ID"]
_, _, address = os.environ["DATABASE_URL"].partition("://")
engine = create_engine(f"postgresql+psycopg://{address}")


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "documents"
    id: Mapped[str] = mapped_column(String, primary_key=True)
    title: Mapped[str] = mapped_column(String)


PUBLISH = text("select fltr_outbox.publish('document.processed', :data, account => :account)")


def save_document(session: Session, title: str) -> str:
    document = Document(id=f"doc_{uuid.uuid4()}", title=title)
    session.add(document)
    # As text: it is sent exactly as it is written here.
    data = json.dumps({"document_id": document.id, "dataset_id": "ds_1", "chunks_created": 47})
    return session.execute(PUBLISH, {"data": data, "account": account_id}).scalar_one()


Base.metadata.create_all(engine)

with Session(engine) as session, session.begin():
    event = save_document(session, "Kept")
print(f"committed {event}")

try:
    with Session(engine) as session, session.begin():
        print(f"rolled back {save_document(session, 'Never saved')}")
        raise RuntimeError("something after it has failed")
except RuntimeError as error:
    print(error)
