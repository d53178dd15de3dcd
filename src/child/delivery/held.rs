//! What a person may do with messages that wait for them to give the input back.

use super::{DeliveryId, Job, Owner, Queue, What, Writer};

impl Queue {
    /// What waits only because `owner` keeps its writer out, in order.
    pub fn kept_out(&self, owner: &Owner) -> impl Iterator<Item = (DeliveryId, &What)> {
        let out = |job: &&Job| !owner.admits(job.writer);
        self.jobs.iter().filter(out).map(|job| (job.id, &job.what))
    }

    /// The person lets it through: from here on it is as if they had sent it.
    pub fn deliver(&mut self, id: DeliveryId) {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) {
            job.writer = Writer::Person;
        }
    }

    /// Takes out what is kept out. Whether it was.
    pub fn send_back(&mut self, id: DeliveryId, owner: &Owner) -> bool {
        let at = self.held_at(id, owner);
        at.and_then(|at| self.jobs.remove(at)).is_some()
    }

    /// Gives what is kept out another text; none of one that was partly typed. Answers the job as it is now.
    pub fn reword(&mut self, id: DeliveryId, owner: &Owner, text: &str) -> Option<Job> {
        let at = self.held_at(id, owner)?;
        let job = self.jobs.get_mut(at).filter(|job| job.begun == 0)?;
        match &mut job.what {
            What::Message(old) => text.clone_into(old),
            What::Keys(_) => return None,
        }
        Some(job.clone())
    }

    /// Whether what is in the composer may be ours.
    pub fn is_typing(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.at > 0)
    }

    fn held_at(&self, id: DeliveryId, owner: &Owner) -> Option<usize> {
        self.jobs.iter().position(|job| job.id == id && !owner.admits(job.writer))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn queue() -> (Queue, Owner) {
        let mut queue = Queue::default();
        for id in 1..=3 {
            let writer = if id == 2 { "person" } else { "agent" };
            // As a journal has it.
            let job =
                serde_json::json!({"id": id, "writer": writer, "what": {"message": format!("message {id}")}});
            queue.push(serde_json::from_value(job).unwrap()).unwrap();
        }
        (queue, Owner::Person { who: "ada".into(), since: SystemTime::UNIX_EPOCH })
    }

    fn kept(queue: &Queue, owner: &Owner) -> Vec<u64> {
        queue.kept_out(owner).map(|(id, _)| id.0).collect()
    }

    #[test]
    fn a_person_rejects_rewords_and_delivers_what_is_held_and_nothing_else() {
        let (mut queue, ada) = queue();
        assert_eq!(kept(&queue, &ada), [1, 3]);
        assert!(!queue.send_back(DeliveryId(2), &ada) && !queue.send_back(DeliveryId(9), &ada));
        assert!(queue.send_back(DeliveryId(1), &ada) && !queue.send_back(DeliveryId(1), &ada));
        let job = queue.reword(DeliveryId(3), &ada, "other").unwrap();
        assert_eq!((job.what, job.writer), (What::Message("other".into()), Writer::Agent));
        assert_eq!(queue.reword(DeliveryId(2), &ada, "other"), None);
        queue.deliver(DeliveryId(3));
        assert_eq!((kept(&queue, &ada), queue.len()), (vec![], 2));
    }
}
