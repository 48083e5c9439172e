-- An account lists its own keys, newest first: read backward.
create index api_keys_of_account on api_keys (account_id, id);
drop index api_keys_account;
