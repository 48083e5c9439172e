-- The secret before the current one, until the overlap ends; both null when none is kept.
alter table webhooks
  add column previous_sealed_secret text,
  add column previous_secret_until timestamptz,
  add check ((previous_sealed_secret is null) = (previous_secret_until is null));
