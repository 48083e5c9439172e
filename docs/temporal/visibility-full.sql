-- Undoes visibility-lean.sql: creates the indexes that it drops, as Temporal's own schema does. An index whose column
-- this version of the schema does not have is left out; one that exists stays as it is.
--
-- How. With psql (it knows \gexec), in the visibility database, as the owner of the table, also while Temporal runs:
--   psql --set ON_ERROR_STOP=1 --dbname temporal_visibility --file visibility-full.sql
-- On a large table this takes a while, and about as much space as the table again. Interrupted, it can run again.

-- Completes an interrupted run.
select format('drop index concurrently %I', class.relname)
from pg_index join pg_class as class on class.oid = indexrelid
where indrelid = 'executions_visibility'::regclass and not indisvalid
\gexec

select format(
  'create index concurrently if not exists %I on executions_visibility '
  || case kind
    when 'value' then '(namespace_id, %I, (coalesce(close_time, ''9999-12-31 23:59:59'')) desc, start_time desc, run_id)'
    when 'list' then 'using gin (namespace_id, %I jsonb_path_ops)'
    when 'text' then 'using gin (namespace_id, %I)'
  end,
  name, indexed)
from (values
  ('by_execution_time', 'value', 'execution_time'),
  ('by_history_length', 'value', 'history_length'),
  ('by_history_size_bytes', 'value', 'history_size_bytes'),
  ('by_execution_duration', 'value', 'execution_duration'),
  ('by_state_transition_count', 'value', 'state_transition_count'),
  ('by_task_queue', 'value', 'task_queue'),
  ('by_parent_run_id', 'value', 'parent_run_id'),
  ('by_root_run_id', 'value', 'root_run_id'),
  ('by_temporal_change_version', 'list', 'temporalchangeversion'),
  ('by_binary_checksums', 'list', 'binarychecksums'),
  ('by_build_ids', 'list', 'buildids'),
  ('by_temporal_pause_info', 'list', 'temporalpauseinfo'),
  ('by_temporal_reported_problems', 'list', 'temporalreportedproblems'),
  ('by_temporal_worker_deployment_version', 'value', 'temporalworkerdeploymentversion'),
  ('by_temporal_workflow_versioning_behavior', 'value', 'temporalworkflowversioningbehavior'),
  ('by_temporal_worker_deployment', 'value', 'temporalworkerdeployment'),
  ('by_used_deployment_versions', 'list', 'temporalusedworkerdeploymentversions'),
  ('by_batcher_user', 'value', 'batcheruser'),
  ('by_temporal_scheduled_start_time', 'value', 'temporalscheduledstarttime'),
  ('by_temporal_external_payload_size_bytes', 'value', 'temporalexternalpayloadsizebytes'),
  ('by_temporal_external_payload_count', 'value', 'temporalexternalpayloadcount'),
  ('by_temporal_bool_01', 'value', 'temporalbool01'),
  ('by_temporal_bool_02', 'value', 'temporalbool02'),
  ('by_temporal_datetime_01', 'value', 'temporaldatetime01'),
  ('by_temporal_datetime_02', 'value', 'temporaldatetime02'),
  ('by_temporal_double_01', 'value', 'temporaldouble01'),
  ('by_temporal_double_02', 'value', 'temporaldouble02'),
  ('by_temporal_int_01', 'value', 'temporalint01'),
  ('by_temporal_int_02', 'value', 'temporalint02'),
  ('by_temporal_keyword_01', 'value', 'temporalkeyword01'),
  ('by_temporal_keyword_02', 'value', 'temporalkeyword02'),
  ('by_temporal_keyword_03', 'value', 'temporalkeyword03'),
  ('by_temporal_keyword_04', 'value', 'temporalkeyword04'),
  ('by_temporal_low_cardinality_keyword_01', 'value', 'temporallowcardinalitykeyword01'),
  ('by_temporal_keyword_list_01', 'list', 'temporalkeywordlist01'),
  ('by_temporal_keyword_list_02', 'list', 'temporalkeywordlist02'),
  ('by_bool_01', 'value', 'bool01'),
  ('by_bool_02', 'value', 'bool02'),
  ('by_bool_03', 'value', 'bool03'),
  ('by_datetime_01', 'value', 'datetime01'),
  ('by_datetime_02', 'value', 'datetime02'),
  ('by_datetime_03', 'value', 'datetime03'),
  ('by_double_01', 'value', 'double01'),
  ('by_double_02', 'value', 'double02'),
  ('by_double_03', 'value', 'double03'),
  ('by_int_01', 'value', 'int01'),
  ('by_int_02', 'value', 'int02'),
  ('by_int_03', 'value', 'int03'),
  ('by_keyword_01', 'value', 'keyword01'),
  ('by_keyword_02', 'value', 'keyword02'),
  ('by_keyword_03', 'value', 'keyword03'),
  ('by_keyword_04', 'value', 'keyword04'),
  ('by_keyword_05', 'value', 'keyword05'),
  ('by_keyword_06', 'value', 'keyword06'),
  ('by_keyword_07', 'value', 'keyword07'),
  ('by_keyword_08', 'value', 'keyword08'),
  ('by_keyword_09', 'value', 'keyword09'),
  ('by_keyword_10', 'value', 'keyword10'),
  ('by_keyword_list_01', 'list', 'keywordlist01'),
  ('by_keyword_list_02', 'list', 'keywordlist02'),
  ('by_keyword_list_03', 'list', 'keywordlist03'),
  ('by_text_01', 'text', 'text01'),
  ('by_text_02', 'text', 'text02'),
  ('by_text_03', 'text', 'text03')
) as dropped (name, kind, indexed)
join information_schema.columns on column_name = indexed
where table_schema = current_schema() and table_name = 'executions_visibility'
\gexec
