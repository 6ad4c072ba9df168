//! A table that an application writes to; a trigger of its own tells what was done.

use tidemark_test_servers::{Database, Postgres};

use super::{
    POISON,
    lives::{Lives, Stream},
};

pub(super) const STREAM: Stream =
    Stream { name: "public.orders", key: "id", columns: &["region", "amount", "note"], sampled_by: "id" };

const TABLES: &str = "
    CREATE TABLE orders (id int PRIMARY KEY, region text NOT NULL, amount int NOT NULL, note text NOT NULL);
    CREATE TABLE told (number bigserial PRIMARY KEY, id int NOT NULL, state text NOT NULL);
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF TG_OP = 'DELETE' THEN
        INSERT INTO told (id, state) VALUES (OLD.id, 'gone');
        RETURN OLD;
      END IF;
      INSERT INTO told (id, state) VALUES (NEW.id, concat_ws(E'\\t', NEW.region, NEW.amount, NEW.note));
      RETURN NEW;
    END $$;
    CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION tell();
    INSERT INTO orders SELECT i, 'eu', i, 'order ' || i FROM generate_series(1, 2000) i";

/// The application and its database.
pub(super) struct Orders(Database<'static>);

impl Orders {
    /// Two thousand orders.
    pub(super) fn begin() -> Self {
        let database = Postgres::shared().database();
        database.execute(TABLES);
        Self(database)
    }

    /// The pipeline file's lines of it.
    pub(super) fn source(&self) -> String {
        format!(
            "name: {}\nsource: {{type: postgres, url: \"{}\", streams: [{}]}}\n",
            self.0.name(),
            self.0.url(),
            STREAM.name
        )
    }

    /// Writes what one destination refuses.
    pub(super) fn poison(&self) {
        self.0.execute(&format!("UPDATE orders SET note = '{POISON}' WHERE id = 7"));
    }

    /// Changes every order; some are new, and some are cancelled, of which some are ordered again.
    pub(super) fn change(&self, round: usize) {
        self.0.execute("UPDATE orders SET amount = amount + 1");
        self.0.execute(&format!(
            "INSERT INTO orders SELECT 10000 + 20 * {round} + i, 'us', i, 'new' FROM generate_series(1, 20) i;
             DELETE FROM orders WHERE id BETWEEN 1000 + 10 * {round} AND 1009 + 10 * {round}"
        ));
        if round > 0 {
            self.0
                .execute(&format!("INSERT INTO orders VALUES (1000 + 10 * ({round} - 1), 'us', 1, 'again')"));
        }
    }

    /// How many changes there were.
    pub(super) fn told(&self) -> usize {
        self.0.query("SELECT count(*) FROM told")[0][0].as_ref().unwrap().parse().unwrap()
    }

    /// What was done, as the trigger has it.
    pub(super) fn lives(&self) -> Lives {
        let mut lives = Lives::new();
        for row in self.0.query("SELECT id, state FROM told ORDER BY number") {
            let mut cells = row.into_iter().flatten();
            let (id, state) = (cells.next().unwrap(), cells.next().unwrap());
            lives.entry(id).or_default().push(state);
        }
        lives
    }
}
