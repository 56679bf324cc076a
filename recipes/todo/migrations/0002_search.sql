-- An index of words, kept by triggers.
CREATE VIRTUAL TABLE item_words USING fts5 (text, content = 'item', content_rowid = 'id');

INSERT INTO item_words (rowid, text) SELECT id, text FROM item;

CREATE TRIGGER item_added AFTER INSERT ON item BEGIN
  INSERT INTO item_words (rowid, text) VALUES (new.id, new.text);
END;

CREATE TRIGGER item_removed AFTER DELETE ON item BEGIN
  INSERT INTO item_words (item_words, rowid, text) VALUES ('delete', old.id, old.text);
END;

CREATE TRIGGER item_changed AFTER UPDATE OF text ON item BEGIN
  INSERT INTO item_words (item_words, rowid, text) VALUES ('delete', old.id, old.text);
  INSERT INTO item_words (rowid, text) VALUES (new.id, new.text);
END;
