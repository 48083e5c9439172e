-- The W3C trace that an event's producer named, as version 00; null, as mostly: none.
alter table events add column traceparent text;
